/*
 * Each operation on files that the trace decodes, in every variant of its
 * system call, made raw: a C library would choose another one. In a folder that
 * is empty and writable for all; what fails is meant to. Ends with 0 when each
 * call did what it must.
 *
 *   files FOLDER            the operations, in the order of the test
 *   files FOLDER compat     three calls of the 32-bit ABI of x86
 *   files FOLDER opens N    N opens of as many names that do not exist, after one byte on standard input
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif

static int line;

/* The result that is wanted: an errno, or 0 for success. */
#define EXPECT(wanted, call) (line = __LINE__, check((call), (wanted)))
#define OK(call) EXPECT(0, call)

static long check(long result, int wanted)
{
	int got = result < 0 ? errno : 0;

	if (got != wanted) {
		fprintf(stderr, "files.c:%d: %s instead of %s\n", line, strerror(got), strerror(wanted));
		exit(1);
	}
	return result;
}

static void open_and_make(int dir)
{
	struct open_how how = { .flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, .mode = 0600 };

	OK(syscall(SYS_mkdirat, AT_FDCWD, "a/b", 0700));
	EXPECT(EEXIST, syscall(SYS_mkdirat, dir, "b", 0700));
	OK(close(OK(syscall(SYS_openat, dir, "one", O_WRONLY | O_CREAT | O_EXCL, 0640))));
	EXPECT(EEXIST, syscall(SYS_openat, dir, "./one", O_WRONLY | O_CREAT | O_EXCL, 0640));
	OK(close(OK(syscall(SYS_openat2, dir, "two", &how, sizeof(how)))));
	OK(syscall(SYS_symlinkat, "a/one", AT_FDCWD, "link"));
	OK(syscall(SYS_symlinkat, "../nowhere", dir, "broken"));
	OK(close(OK(syscall(SYS_openat, AT_FDCWD, "a/../link", O_RDONLY))));
	EXPECT(ELOOP, syscall(SYS_openat, AT_FDCWD, "link", O_RDONLY | O_NOFOLLOW));
	EXPECT(ENOENT, syscall(SYS_openat, AT_FDCWD, "a/broken", O_RDONLY));
	EXPECT(ENOENT, syscall(SYS_openat, AT_FDCWD, "a/../missing", O_RDONLY));
	EXPECT(ENOTDIR, syscall(SYS_openat, dir, "one/x", O_RDONLY));
	EXPECT(ENOENT, syscall(SYS_openat, AT_FDCWD, "", O_RDONLY));
	EXPECT(EFAULT, syscall(SYS_openat, AT_FDCWD, (char *)1, O_RDONLY));
	EXPECT(EBADF, syscall(SYS_openat, 99, "x", O_RDONLY));
	OK(chdir("a"));
	OK(close(OK(syscall(SYS_openat, AT_FDCWD, ".././a/two", O_RDONLY))));
	EXPECT(ENOENT, syscall(SYS_openat, AT_FDCWD, "../missing", O_RDONLY));
	OK(chdir(".."));
}

static void read_and_write(void)
{
	char bytes[16] = "0123456789abcdef";
	struct iovec two[2] = { { bytes, 3 }, { bytes, 4 } };
	int fd = OK(syscall(SYS_openat, AT_FDCWD, "a/one", O_RDWR | O_TRUNC));
	int out = OK(syscall(SYS_openat, AT_FDCWD, "copy", O_RDWR | O_CREAT, 0666));
	loff_t at = 0, to = 0;
	int ends[2];

	OK(write(fd, bytes, 10));
	OK(pwrite(fd, bytes, 5, 10));
	OK(writev(fd, two, 2));
	OK(syscall(SYS_pwritev, fd, two, 2, 0, 0));
	OK(syscall(SYS_pwritev2, fd, two, 2, 0, 0, 0));
	OK(lseek(fd, 0, SEEK_SET));
	OK(read(fd, bytes, 8));
	OK(pread(fd, bytes, 2, 0));
	OK(readv(fd, two, 2));
	OK(syscall(SYS_preadv, fd, two, 2, 0, 0));
	OK(syscall(SYS_preadv2, fd, two, 2, 0, 0, 0));
	EXPECT(EBADF, write(99, bytes, 1));
	at = 0;
	OK(sendfile(out, fd, &at, 6));
	at = 0;
	OK(syscall(SYS_copy_file_range, fd, &at, out, &to, 4UL, 0));
	OK(pipe(ends));
	at = 0;
	OK(syscall(SYS_splice, fd, &at, ends[1], NULL, 3UL, 0));
	OK(syscall(SYS_splice, ends[0], NULL, out, &to, 3UL, 0));
	OK(syscall(SYS_ftruncate, fd, 4L));
	EXPECT(EINVAL, syscall(SYS_ftruncate, fd, -1L));
	OK(syscall(SYS_fchmod, fd, 0640));
	OK(syscall(SYS_fchown, fd, 7, -1));
	OK(close(fd));
	/* Swapped unseen: the next use of the number tells what is left of the file before. */
	OK(write(out, bytes, 1));
	OK(dup3(OK(syscall(SYS_openat, AT_FDCWD, "a/two", O_WRONLY)), out, 0));
	OK(write(out, bytes, 2));
	OK(close(out));
}

static void change(int dir)
{
	OK(syscall(SYS_linkat, dir, "one", AT_FDCWD, "four", 0));
	EXPECT(EEXIST, syscall(SYS_linkat, dir, "one", AT_FDCWD, "four", 0));
	OK(syscall(SYS_renameat2, AT_FDCWD, "four", dir, "five", RENAME_NOREPLACE));
	EXPECT(ENOENT, syscall(SYS_renameat2, AT_FDCWD, "four", dir, "five", 0));
	OK(syscall(SYS_truncate, "copy", 10L));
	EXPECT(ENOENT, syscall(SYS_truncate, "four", 10L));
	OK(syscall(SYS_fchmodat, dir, "two", 04755));
	OK(syscall(SYS_fchownat, dir, "two", 5, 6, 0));
	OK(syscall(SYS_fchownat, AT_FDCWD, "link", -1, 8, AT_SYMLINK_NOFOLLOW));
	OK(syscall(SYS_fchownat, dir, "", 9, 9, AT_EMPTY_PATH));
	OK(syscall(SYS_unlinkat, dir, "two", 0));
	EXPECT(EISDIR, syscall(SYS_unlinkat, AT_FDCWD, "a/b", 0));
	OK(syscall(SYS_unlinkat, AT_FDCWD, "a/b", AT_REMOVEDIR));
	EXPECT(ENOTEMPTY, syscall(SYS_unlinkat, AT_FDCWD, "a", AT_REMOVEDIR));
}

/* The calls that only older ABIs have. */
static void old_calls(void)
{
#ifdef SYS_open
	OK(syscall(SYS_mkdir, "old", 0755));
	OK(close(OK(syscall(SYS_creat, "old/one", 0644))));
	OK(close(OK(syscall(SYS_open, "old/one", O_RDONLY))));
	OK(syscall(SYS_link, "old/one", "old/two"));
	OK(syscall(SYS_rename, "old/two", "old/three"));
	OK(syscall(SYS_renameat, AT_FDCWD, "old/three", AT_FDCWD, "old/four"));
	OK(syscall(SYS_symlink, "one", "old/link"));
	OK(syscall(SYS_chmod, "old/one", 0600));
	OK(syscall(SYS_chown, "old/one", 1, 2));
	OK(syscall(SYS_lchown, "old/link", 3, 4));
	OK(syscall(SYS_unlink, "old/link"));
	OK(syscall(SYS_unlink, "old/one"));
	OK(syscall(SYS_unlink, "old/four"));
	OK(syscall(SYS_rmdir, "old"));
	EXPECT(ENOENT, syscall(SYS_rmdir, "old"));
#endif
}

static void without_privilege(void)
{
	OK(syscall(SYS_fchmodat, AT_FDCWD, "copy", 0));
	OK(setgid(65534));
	OK(setuid(65534));
	EXPECT(EACCES, syscall(SYS_openat, AT_FDCWD, "copy", O_RDONLY));
	EXPECT(EPERM, syscall(SYS_fchmodat, AT_FDCWD, "copy", 0777));
}

#ifdef __x86_64__
static long compat(long number, long first, long second)
{
	long result;

	__asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(first), "c"(second), "d"(0)
			 : "memory", "r8", "r9", "r10", "r11");
	return result;
}
#endif

/* open, read, getpid: the last is no call on files. Linked at a fixed address, the name lies below 4 GiB. */
static int compat_calls(void)
{
#ifdef __x86_64__
	static const char name[] = "/etc/passwd";
	long fd = compat(5, (long)name, O_RDONLY);

	if (fd < 0 || compat(3, fd, 0) != 0)
		return 1;
	return compat(20, 0, 0) == getpid() ? 0 : 1;
#else
	return 1;
#endif
}

static int many_opens(long count)
{
	char name[32], go;

	if (read(0, &go, 1) != 1)
		return 3;
	for (long n = 0; n < count; n++) {
		snprintf(name, sizeof(name), "missing-%ld", n);
		EXPECT(ENOENT, syscall(SYS_openat, AT_FDCWD, name, O_RDONLY));
	}
	return 0;
}

int main(int argc, char **argv)
{
	int dir;

	if (argc < 2)
		return 2;
	umask(0);
	OK(chdir(argv[1]));
	if (argc > 2 && strcmp(argv[2], "compat") == 0)
		return compat_calls();
	if (argc > 3 && strcmp(argv[2], "opens") == 0)
		return many_opens(atol(argv[3]));
	OK(syscall(SYS_mkdirat, AT_FDCWD, "a", 0750));
	dir = OK(syscall(SYS_openat, AT_FDCWD, "a/", O_RDONLY | O_DIRECTORY));
	open_and_make(dir);
	read_and_write();
	change(dir);
	old_calls();
	without_privilege();
	return 0;
}
