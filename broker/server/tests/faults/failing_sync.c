/* fdatasync and fsync that fail while the file exists that FAIL_SYNC_WHILE names. */
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static int sync_or_fail(long call, int file)
{
	const char *sign = getenv("FAIL_SYNC_WHILE");

	if (sign && access(sign, F_OK) == 0) {
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
