//! L5: what a sealed daemon still has in its memory. Searched from outside, in every writable page of the process.

use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, ensure};
use bindery_client::RepositoryQuery;
use bindery_store_proto::v1 as disk;
use bindery_tests::{
    canary::MARKER,
    daemon::Daemon,
    forge::{Forge as _, GitHubForge},
};
use memchr::memmem;
use prost::Message;
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, Prk, Salt},
};

use crate::{keys::done, world::World};

/// L5: while it is open, the daemon's memory holds root key, base key and epoch keys; after `bindery admin seal` it holds
/// none of them, nor their traces in HMAC.
#[tokio::test(flavor = "multi_thread")]
async fn l5_a_sealed_daemon_has_no_key_in_memory() -> Result<()> {
    let mut world = World::new(GitHubForge::start(false, None).await?).await?;
    let link = world.link().await?;
    world.token(&link).await?;
    let daemon = &world.daemon;
    done(daemon, &["admin", "rotate", "epoch"], "")?;
    let mut needles = keys_of(daemon)?;
    ensure!(needles.len() >= 3, "root key, base key and an epoch key");
    let open = search(daemon, &needles)?;
    ensure!(
        open.iter().all(|found| *found > 0),
        "the control finds no key in an open daemon: {open:?}"
    );
    let masked: Vec<Vec<u8>> = needles
        .iter()
        .flat_map(|key| [0x36, 0x5c].map(|mask| key.iter().map(|byte| byte ^ mask).collect()))
        .collect();
    needles.extend(masked);
    done(daemon, &["admin", "seal"], "")?;
    let sealed = search(daemon, &needles)?;
    println!("figure: L5: keys in memory: copies while open: {open:?}; after the seal: {sealed:?}");
    ensure!(
        sealed.iter().all(|found| *found == 0),
        "a sealed daemon has keys in memory: {sealed:?}"
    );
    Ok(())
}

/// L5: after `bindery admin seal`, and the end of the connections that were open then, the daemon's memory holds no token or
/// code that the forge ever gave it, and no client secret; what somebody told it besides is found there, so that the search
/// is known to find what is there.
#[tokio::test(flavor = "multi_thread")]
async fn l5_a_sealed_daemon_has_no_token_in_memory() -> Result<()> {
    let mut world = World::new(GitHubForge::start(true, Some(MARKER)).await?).await?;
    world.forge.lengthen()?;
    let link = world.link().await?;
    for _ in 0..20 {
        world.token(&link).await?;
    }
    world.client.check_link_refreshed(&link).await?;
    let all = RepositoryQuery::default();
    world.client.list_repositories(&link, all).all().await?;
    let secrets = secrets_of(&world)?;
    let bystander = "a-word-that-a-person-wrote";
    world.client.disable_link(&link, bystander).await?;
    let daemon = &world.daemon;
    done(daemon, &["admin", "seal", "--reason", bystander], "")?;
    let mut needles: Vec<Vec<u8>> = secrets.iter().map(|(_, secret)| secret.clone()).collect();
    needles.push(bystander.as_bytes().to_vec());
    let started = Instant::now();
    loop {
        let mut found = search(daemon, &needles)?;
        let control = found.pop().unwrap_or_default();
        ensure!(control > 0, "the search finds nothing at all");
        let names = secrets.iter().map(|(name, _)| name.as_str());
        let left: Vec<_> = names.zip(found).filter(|(_, count)| *count > 0).collect();
        println!(
            "figure: L5: {} secrets searched for in the memory of a sealed daemon; left: {left:?}",
            secrets.len()
        );
        if left.is_empty() {
            return Ok(());
        }
        ensure!(
            started.elapsed() < PATIENCE,
            "a sealed daemon has secrets in memory: {left:?}"
        );
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Connections that were open when the daemon was sealed are gone after this time, and their buffers with them.
const PATIENCE: Duration = Duration::from_secs(60);

/// The ends of all secrets that the daemon has had of a forge.
fn secrets_of(world: &World<GitHubForge>) -> Result<Vec<(String, Vec<u8>)>> {
    let minted = world.forge.standin.minted();
    ensure!(
        minted.len() >= 5,
        "two pairs and a code, of {}",
        minted.len()
    );
    let client = world.forge.client_secret().context("no client secret")?;
    let kind = |secret: &str| secret.chars().take(4).collect::<String>();
    let tail = |secret: &str| secret.as_bytes()[secret.len() - TAIL..].to_vec();
    let all = minted.into_iter().chain([client]);
    Ok(all.map(|one| (kind(&one), tail(&one))).collect())
}

/// So many characters of a secret are searched for: half a token is no better left behind than a whole one.
const TAIL: usize = 20;

/// How often each needle is in the memory of the daemon.
fn search(daemon: &Daemon, needles: &[Vec<u8>]) -> Result<Vec<usize>> {
    let id = daemon.id().context("binderyd does not run")?;
    let memory = File::open(format!("/proc/{id}/mem"))?;
    let maps = std::fs::read_to_string(format!("/proc/{id}/maps"))?;
    let mut found = vec![0; needles.len()];
    for line in maps.lines().filter(|line| line.contains(" rw")) {
        let (from, to) = range(line)?;
        let mut bytes = vec![0; usize::try_from(to - from)?];
        // Some pages can't be read at all, such as a thread's guard.
        if memory.read_exact_at(&mut bytes, from).is_err() {
            continue;
        }
        for used in runs(&bytes) {
            for (count, needle) in found.iter_mut().zip(needles) {
                *count += memmem::find_iter(used, needle).count();
            }
        }
    }
    Ok(found)
}

/// What is not empty: most pages are zeros, and what is searched for has none.
fn runs(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let pages = bytes.chunks(EMPTY.len()).enumerate();
    let used: Vec<_> = pages
        .filter(|(_, page)| **page != EMPTY[..page.len()])
        .map(|(at, page)| at * EMPTY.len()..at * EMPTY.len() + page.len())
        .collect();
    used.chunk_by(|one, next| one.end == next.start)
        .map(|run| run[0].start..run[run.len() - 1].end)
        .map(|run| &bytes[run])
        .collect::<Vec<_>>()
        .into_iter()
}

const EMPTY: [u8; 4096] = [0; 4096];

fn range(line: &str) -> Result<(u64, u64)> {
    let addresses = line.split_whitespace().next().context("an empty line")?;
    let (from, to) = addresses.split_once('-').context("no range")?;
    Ok((u64::from_str_radix(from, 16)?, u64::from_str_radix(to, 16)?))
}

/// Root key, base key and epoch keys of a daemon in development, as its format describes them: from the header and the key
/// file.
fn keys_of(daemon: &Daemon) -> Result<Vec<Vec<u8>>> {
    let data = daemon.path("data");
    let header = header(&data.join("vault/seal.hdr.a"))?;
    let material = std::fs::read(data.join("development-root.key"))?;
    let slot = header.slots.first().context("no slot")?;
    let root = unwrap(slot, &material, &header.store_id)?;
    let base = open(
        &root,
        "bindery/base/v1",
        "bindery/base/v1",
        &header.store_id,
        &header.sealed_base,
    )?;
    let ring = open(
        &root,
        "bindery/kek/v1",
        "bindery/ring/v1",
        &header.store_id,
        &header.sealed_ring,
    )?;
    let ring = disk::KeyRing::decode(ring.as_slice())?;
    let mut keys = vec![root, base];
    keys.extend(ring.epochs.into_iter().map(|epoch| epoch.key));
    Ok(keys)
}

/// Magic, format, reader and length come before the message; digest and MAC after it.
fn header(path: &Path) -> Result<disk::SealHeader> {
    let bytes = std::fs::read(path)?;
    let (_, rest) = bytes.split_at_checked(8).context("too short")?;
    let (length, rest) = rest.split_first_chunk::<4>().context("too short")?;
    let length = usize::try_from(u32::from_be_bytes(*length))?;
    Ok(disk::SealHeader::decode(
        rest.get(..length).context("too short")?,
    )?)
}

fn unwrap(slot: &disk::Slot, material: &[u8], store_id: &[u8]) -> Result<Vec<u8>> {
    let parameters = disk::SlotParameters::decode(slot.parameters.as_slice())?;
    let prk = Salt::new(HKDF_SHA256, &parameters.salt).extract(material);
    let key = expand(&prk, &[b"bindery/slot/v1"], 32)?;
    let mut aad = b"BDYS".to_vec();
    aad.extend_from_slice(store_id);
    aad.extend_from_slice(&slot.id.to_be_bytes());
    aad.extend_from_slice(&slot.kind.to_be_bytes());
    aad.extend_from_slice(&slot.parameters);
    decrypt(&key, slot.nonce.as_slice().try_into()?, &aad, &slot.wrapped)
}

/// An envelope: salt, commitment, nonce, ciphertext with tag.
fn open(
    root: &[u8],
    purpose: &str,
    label: &str,
    store_id: &[u8],
    envelope: &[u8],
) -> Result<Vec<u8>> {
    let key = expand(
        &Prk::new_less_safe(HKDF_SHA256, root),
        &[purpose.as_bytes()],
        32,
    )?;
    let (salt, rest) = envelope.split_at_checked(16).context("too short")?;
    let (commit, rest) = rest.split_at_checked(16).context("too short")?;
    let (nonce, sealed) = rest.split_first_chunk::<12>().context("too short")?;
    let prk = Prk::new_less_safe(HKDF_SHA256, &key);
    let both = expand(&prk, &[label.as_bytes(), salt], 48)?;
    ensure!(both[32..] == *commit, "another key");
    decrypt(&both[..32], *nonce, store_id, sealed)
}

fn decrypt(key: &[u8], nonce: [u8; 12], aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>> {
    let failed = |_| anyhow!("it does not open");
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).map_err(failed)?);
    let mut buffer = sealed.to_vec();
    let nonce = Nonce::assume_unique_for_key(nonce);
    let length = key
        .open_in_place(nonce, Aad::from(aad), &mut buffer)
        .map_err(failed)?
        .len();
    buffer.truncate(length);
    Ok(buffer)
}

struct Length(usize);

impl ring::hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn expand(prk: &Prk, info: &[&[u8]], length: usize) -> Result<Vec<u8>> {
    let mut out = vec![0; length];
    let filled = prk
        .expand(info, Length(length))
        .and_then(|okm| okm.fill(&mut out));
    filled.map_err(|_| anyhow!("no key"))?;
    Ok(out)
}
