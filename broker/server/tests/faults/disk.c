/* Loaded before the C library: syncs that fail while the file exists that FAIL_SYNC_WHILE names,
 * and reads that wait while that of HOLD_READ_WHILE exists. */
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static int asked_for(const char *variable)
{
	const char *sign = getenv(variable);

	return sign && access(sign, F_OK) == 0;
}

static int sync_or_fail(long call, int file)
{
	if (asked_for("FAIL_SYNC_WHILE")) {
		errno = EIO;
		return -1;
	}
	return syscall(call, file);
}

int fdatasync(int file)
{
	return sync_or_fail(SYS_fdatasync, file);
}

int fsync(int file)
{
	return sync_or_fail(SYS_fsync, file);
}

ssize_t pread64(int file, void *into, size_t bytes, off_t offset)
{
	while (asked_for("HOLD_READ_WHILE"))
		usleep(1000);
	return syscall(SYS_pread64, file, into, bytes, offset);
}
