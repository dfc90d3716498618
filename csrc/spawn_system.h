/* The system calls of the child. On Linux they are raw: libc's wrappers may take locks, be cancellation points or,
 * for the ids, run in every thread of a process whose memory the child shares. */
#ifndef FASTOS_SPAWN_SYSTEM_H
#define FASTOS_SPAWN_SYSTEM_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef __linux__

#include <sys/prctl.h>
#include <sys/syscall.h>

#ifdef SYS_setgroups32 /* 32-bit machines: the plain names are those of 16-bit ids */
#define FO_SYS_SETGROUPS SYS_setgroups32
#define FO_SYS_GETGROUPS SYS_getgroups32
#define FO_SYS_SETRESGID SYS_setresgid32
#define FO_SYS_GETRESGID SYS_getresgid32
#define FO_SYS_SETRESUID SYS_setresuid32
#define FO_SYS_GETRESUID SYS_getresuid32
#else
#define FO_SYS_SETGROUPS SYS_setgroups
#define FO_SYS_GETGROUPS SYS_getgroups
#define FO_SYS_SETRESGID SYS_setresgid
#define FO_SYS_GETRESGID SYS_getresgid
#define FO_SYS_SETRESUID SYS_setresuid
#define FO_SYS_GETRESUID SYS_getresuid
#endif

#ifdef SYS_fcntl64
#define FO_SYS_FCNTL SYS_fcntl64
#else
#define FO_SYS_FCNTL SYS_fcntl
#endif

#define fo_sys_setgroups(count, groups) ((int)syscall(FO_SYS_SETGROUPS, (long)(count), groups))
#define fo_sys_getgroups(count, groups) ((int)syscall(FO_SYS_GETGROUPS, (long)(count), groups))
#define fo_sys_setresgid(real, effective, saved) ((int)syscall(FO_SYS_SETRESGID, real, effective, saved))
#define fo_sys_getresgid(real, effective, saved) ((int)syscall(FO_SYS_GETRESGID, real, effective, saved))
#define fo_sys_setresuid(real, effective, saved) ((int)syscall(FO_SYS_SETRESUID, real, effective, saved))
#define fo_sys_getresuid(real, effective, saved) ((int)syscall(FO_SYS_GETRESUID, real, effective, saved))
#define fo_sys_fcntl(fd, command, argument) ((int)syscall(FO_SYS_FCNTL, fd, command, (long)(argument)))
#define fo_sys_dup_to(source, target) ((int)syscall(SYS_dup3, source, target, 0))
#define fo_sys_close(fd) ((int)syscall(SYS_close, fd))
#define fo_sys_open(path, flags) ((int)syscall(SYS_openat, AT_FDCWD, path, flags, 0))
#define fo_sys_write(fd, data, length) ((long)syscall(SYS_write, fd, data, length))
#define fo_sys_chdir(path) ((int)syscall(SYS_chdir, path))
#define fo_sys_fchdir(fd) ((int)syscall(SYS_fchdir, fd))
#define fo_sys_umask(mask) ((void)syscall(SYS_umask, mask))
#define fo_sys_setsid() ((int)syscall(SYS_setsid))
#define fo_sys_setpgid(pid, group) ((int)syscall(SYS_setpgid, pid, group))
#define fo_sys_ioctl(fd, command, argument) ((int)syscall(SYS_ioctl, fd, (long)(command), (long)(argument)))
#define fo_sys_setpriority(which, who, value) ((int)syscall(SYS_setpriority, which, who, value))
#define fo_sys_getppid() ((int)syscall(SYS_getppid))
#define fo_sys_execve(path, arguments, environment) ((int)syscall(SYS_execve, path, arguments, environment))
#define fo_sys_exit(code) ((void)syscall(SYS_exit_group, code))

#else

#define fo_sys_setgroups(count, groups) setgroups(count, (const gid_t *)(groups))
#define fo_sys_getgroups(count, groups) getgroups((int)(count), (gid_t *)(groups))
#define fo_sys_fcntl(fd, command, argument) fcntl(fd, command, argument)
#define fo_sys_dup_to(source, target) dup2(source, target)
#define fo_sys_close(fd) close(fd)
#define fo_sys_open(path, flags) open(path, flags)
#define fo_sys_write(fd, data, length) write(fd, data, length)
#define fo_sys_chdir(path) chdir(path)
#define fo_sys_fchdir(fd) fchdir(fd)
#define fo_sys_umask(mask) ((void)umask((mode_t)(mask)))
#define fo_sys_setsid() ((int)setsid())
#define fo_sys_setpgid(pid, group) setpgid(pid, group)
#define fo_sys_ioctl(fd, command, argument) ioctl(fd, command, argument)
#define fo_sys_setpriority(which, who, value) setpriority(which, who, value)
#define fo_sys_getppid() ((int)getppid())
#define fo_sys_execve(path, arguments, environment) execve(path, arguments, environment)
#define fo_sys_exit(code) _exit(code)

#endif
#endif
