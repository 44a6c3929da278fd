//! The bytes that were checked, in a form that nobody can change

use std::{fs::File, io, io::Write as _, os::fd::OwnedFd};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

/// Puts `bytes` into an anonymous file and seals it for good.
pub(crate) fn seal(bytes: &[u8]) -> io::Result<OwnedFd> {
    let fd = memfd_create(
        "bindery-plugin",
        MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING,
    )?;
    let mut file = File::from(fd);
    file.write_all(bytes)?;
    let fd = OwnedFd::from(file);
    fcntl_add_seals(
        &fd,
        SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL,
    )?;
    Ok(fd)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt as _;

    use super::*;

    /// P2: what was hashed can be read and neither written, grown nor shrunk.
    #[test]
    fn p2_an_image_cannot_be_changed() {
        let file = File::from(seal(b"the image").unwrap());
        assert!(file.write_at(b"x", 0).is_err());
        assert!(file.write_at(b"x", 100).is_err());
        assert!(file.set_len(3).is_err());
        assert!(fcntl_add_seals(&file, SealFlags::FUTURE_WRITE).is_err());
        let mut bytes = [0; 9];
        file.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(&bytes, b"the image");
    }
}
