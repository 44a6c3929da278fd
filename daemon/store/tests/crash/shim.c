/*
 * Models a disk for one folder, preloaded into a test's child process.
 *
 *   SHIM_ROOT     the folder; everything else passes untouched
 *   SHIM_SHADOW   where the disk's image is kept: of a file what it held at its last fsync or fdatasync, of a folder
 *                 the names it held at its last fsync. A power cut leaves exactly this.
 *   SHIM_DROP     "fdatasync": that call reports success and syncs nothing (the control run: it must lose writes)
 *   SHIM_KILL     n: the process kills itself before its n-th write or sync in the folder
 *   SHIM_FAIL     "call:n:errno": the n-th such call (pwrite, write, fsync, fdatasync, sync_file_range) fails, once
 *   SHIM_FULL     n: from the n-th write on the disk is full, as long as the folder holds a file named "ballast"
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *root, *shadow, *drop;
static char failing[32];
static long kill_at, fail_at, fail_with, full_at;
static long operations, failures, writes;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void die(const char *what)
{
	perror(what);
	_exit(99);
}

/* The path of a descriptor within the folder, or NULL. */
static const char *tracked(int fd, char *path)
{
	char link[64];
	ssize_t length;
	size_t prefix;

	if (!root)
		return NULL;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, path, 4095);
	if (length < 0)
		return NULL;
	path[length] = 0;
	prefix = strlen(root);
	if (strncmp(path, root, prefix) || (path[prefix] && path[prefix] != '/'))
		return NULL;
	return path;
}

/* Inode numbers are used again, so the time of birth belongs to a file's identity. */
static void identify(const char *path, char *id)
{
	struct statx info;

	if (!strcmp(path, root)) {
		strcpy(id, "root");
		return;
	}
	if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_INO | STATX_BTIME, &info)) {
		strcpy(id, "gone");
		return;
	}
	sprintf(id, "%llu.%lld.%u", (unsigned long long)info.stx_ino, (long long)info.stx_btime.tv_sec,
		info.stx_btime.tv_nsec);
}

static FILE *begin(char *temporary)
{
	FILE *out;

	sprintf(temporary, "%s/writing", shadow);
	out = fopen(temporary, "w");
	if (!out)
		die("shim: shadow");
	return out;
}

static void finish(FILE *out, const char *temporary, const char *kind, const char *id)
{
	char final[4600];

	if (fclose(out))
		die("shim: shadow");
	sprintf(final, "%s/%s.%s", shadow, kind, id);
	if (rename(temporary, final))
		die("shim: rename");
}

static void keep_file(const char *path)
{
	static char block[1 << 16];
	char id[128], temporary[4600];
	ssize_t length;
	FILE *out;
	int in;

	identify(path, id);
	in = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	if (in < 0)
		return;
	out = begin(temporary);
	while ((length = read(in, block, sizeof(block))) > 0)
		if (fwrite(block, 1, length, out) != (size_t)length)
			die("shim: shadow");
	close(in);
	finish(out, temporary, "file", id);
}

static void keep_folder(const char *path)
{
	char id[128], temporary[4600], inner[4600];
	struct dirent *entry;
	FILE *out = begin(temporary);
	DIR *folder = opendir(path);

	if (!folder)
		die("shim: opendir");
	while ((entry = readdir(folder))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		snprintf(inner, sizeof(inner), "%s/%s", path, entry->d_name);
		identify(inner, id);
		fprintf(out, "%s %s %s\n", entry->d_type == DT_DIR ? "folder" : "file", id, entry->d_name);
	}
	closedir(folder);
	identify(path, id);
	finish(out, temporary, "folder", id);
}

static void keep(const char *path)
{
	struct stat info;

	if (!shadow || stat(path, &info))
		return;
	if (S_ISDIR(info.st_mode))
		keep_folder(path);
	else
		keep_file(path);
}

/* What was there before the process is on the disk already. */
static void keep_all(const char *path)
{
	char inner[4600];
	struct dirent *entry;
	DIR *folder = opendir(path);

	if (!folder)
		return;
	keep_folder(path);
	while ((entry = readdir(folder))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(inner, sizeof(inner), "%s/%s", path, entry->d_name);
		if (entry->d_type == DT_DIR)
			keep_all(inner);
		else
			keep_file(inner);
	}
	closedir(folder);
}

/* Counts one operation; returns the error that it has to show, or 0. */
static int count(const char *call)
{
	char ballast[4600];

	if (kill_at && ++operations >= kill_at) {
		kill(getpid(), SIGKILL);
		pause();
	}
	if (fail_at && !strcmp(call, failing) && ++failures == fail_at)
		return fail_with;
	if (full_at && strstr(call, "write") && ++writes >= full_at) {
		snprintf(ballast, sizeof(ballast), "%s/ballast", root);
		if (!access(ballast, F_OK))
			return ENOSPC;
	}
	return 0;
}

static int synced(const char *call, int fd, int dropped)
{
	char path[4096];
	int error = 0;

	if (!tracked(fd, path))
		return 0;
	pthread_mutex_lock(&mutex);
	error = count(call);
	if (!error && !dropped)
		keep(path);
	pthread_mutex_unlock(&mutex);
	if (!error)
		return 0;
	errno = error;
	return -1;
}

static int refused(const char *call, int fd)
{
	char path[4096];
	int error = 0;

	if (tracked(fd, path)) {
		pthread_mutex_lock(&mutex);
		error = count(call);
		pthread_mutex_unlock(&mutex);
	}
	if (error)
		errno = error;
	return error;
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset)
{
	return refused("pwrite", fd) ? -1 : syscall(SYS_pwrite64, fd, bytes, length, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset)
{
	return refused("pwrite", fd) ? -1 : syscall(SYS_pwrite64, fd, bytes, length, offset);
}

ssize_t write(int fd, const void *bytes, size_t length)
{
	return refused("write", fd) ? -1 : syscall(SYS_write, fd, bytes, length);
}

/* The model is the disk: nothing is really synced, which keeps hundreds of cuts cheap. */
int fsync(int fd)
{
	return synced("fsync", fd, 0);
}

int fdatasync(int fd)
{
	return synced("fdatasync", fd, drop && !strcmp(drop, "fdatasync"));
}

/* A hint, not a barrier: it makes nothing durable. */
int sync_file_range(int fd, off64_t offset, off64_t length, unsigned int flags)
{
	(void)offset, (void)length, (void)flags;
	return synced("sync_file_range", fd, 1);
}

static long number(const char *name)
{
	const char *value = getenv(name);

	return value ? atol(value) : 0;
}

__attribute__((constructor)) static void start(void)
{
	const char *plan = getenv("SHIM_FAIL");

	root = getenv("SHIM_ROOT");
	shadow = getenv("SHIM_SHADOW");
	drop = getenv("SHIM_DROP");
	kill_at = number("SHIM_KILL");
	full_at = number("SHIM_FULL");
	if (plan && sscanf(plan, "%31[^:]:%ld:%ld", failing, &fail_at, &fail_with) != 3)
		die("shim: SHIM_FAIL");
	if (root && shadow)
		keep_all(root);
}
