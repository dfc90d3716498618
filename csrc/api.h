/* The boundary between the C core and its callers.
 *
 * Every function returns >= 0 or -errno, none calls back, and none needs an interpreter.
 *
 * Map of the core:
 *   platform.c      which engine runs: the platform's own system calls or the portable ones
 *   clock.c         the monotonic clock, and waiting by it
 *   thread.c        starting a thread of the core's own
 *   stat.c          metadata of a file: struct fo_stat
 *   stat_linux.c      by statx
 *   stat_posix.c      by fstatat
 *   dents.c         entries of an open directory
 *   dents_linux.c     by getdents64
 *   dents_posix.c     by readdir
 *   log.c           the log pump: a service's pipe to its rotated file, or to a shared descriptor
 *   log_format.c    times and labels before lines
 *   log_write.c     destinations that may be slow; what waits to be written
 *   log_rotate.c    when a log file is due, its dated name
 *   scan.c          a tree read in parallel, as its consumer sees it
 *   scan_report.c   its counts, what hangs, what its budget left
 *   scan_worker.c   the threads
 *   scan_directory.c reading one directory, shared where others are idle
 *   scan_children.c the directories found in one, by inode, on their way to the frontier
 *   scan_entry.c    what becomes of one entry: tests, metadata, the batch
 *   scan_path.c     a directory's path from its ancestors
 *   scan_sort.c     sort=True
 *   frontier.c      what is still to be read
 *   descent.c       opening directories from their parents, with few or many descriptors
 *   concurrency.c   how many threads: computing or waiting?
 *   visited.c       the directories entered, where symbolic links are followed
 *   queue.c         the bounded queue of batches, and their pool
 *   batch.c         entries as columns
 *   utf8.c          which paths are well-formed UTF-8
 *   batch_paths.c   whole paths from names and a dictionary
 *   timer_linux.c   the one deadline timer of an event loop, by timerfd
 *   timer_posix.c     where there is none
 *   predicate.c     tests an entry with a predicate program
 *   predicate_parse.c checks such a program and makes it ready to run
 *   glob.c          matches compiled globs (glob.h), for predicates and ignore files
 *   ignore.c        what a scan leaves out: contexts of directories, gitignore patterns and git's rules
 *   ignore_root.c     the context that a scan begins with, from the repository that its root is in
 *   ignore_pattern.c  reads lists of patterns
 *   ignore_wildmatch.c  makes compiled globs of git's patterns
 *   ignore_match.c    matches entries with them
 *   ignore_index.c    the names in git's index
 *   ignore_config.c   git's configuration files
 *   ignore_repository.c where a repository is and what it says on ignoring
 *   ignore_file.c     reads small files
 *   spawn.c         starting a process: the parent's part, common to both engines
 *   spawn_strings.c blocks of strings made into argv, envp and the candidates to execute
 *   spawn_streams.c pipes, /dev/null and pseudo-terminals for a child's standard streams
 *   spawn_child.c   the child's part: the steps between the fork and the exec, in their order
 *   spawn_files.c   the child's descriptors: what is closed, what goes where
 *   spawn_signals.c the child's handlers and mask
 *   spawn_owner.c   the child's ids: dropped in the right order and verified
 *   spawn_linux.c   clone with shared memory and a pidfd; clone3 for a cgroup
 *   spawn_posix.c   fork and an error pipe
 *   spawn_wait.c    waiting for a child from several threads at once
 *   spawn_keeper.c  the thread that starts children which are to die with the process
 *   wait.c          waiting for one child: status and usage together
 *   wait_linux.c    waitid on a pidfd
 *   wait_posix.c    wait4 on a pid
 *
 *   owner.c         the process owner: ids, groups, login name
 *   owner_change.c  dropping privileges for good, acting as another user and back
 *   session.c       process ids, process groups, sessions, the controlling terminal
 *   environment.c   environment variables
 *   descriptor.c    open, read, write, close, dup, pipe
 *   permission.c    access, chmod, chown, umask
 *   directory.c     working directory, mkdir, rmdir, unlink, rename
 *   directory_list.c  all names of one directory
 *   link.c          symbolic and hard links
 *   signal.c        kill, killpg
 *   child.c         waitpid, wait4
 *   execute.c       exec in this process, system(3)
 *   walk.c          runs of directories for the caller, and what is still true of them
 *   walk_order.c    the directories to come, in os.walk's order
 *   walk_choose.c   that order after the caller has changed a list
 *   walk_pool.c     the process's read-ahead threads
 *   walk_read.c     one directory: its names, its links, its stamp
 *   stat_many.c     metadata of many paths, in columns
 *   usage.c         disk usage: a scan whose batches are added up (usage.h)
 *   usage_fold.c      what a batch adds
 *   usage_tree.c      the directories, by path
 *   usage_links.c     files with several names; the largest files
 *   usage_report.c    sums, and what is asked about them
 *   walk_clock.c    whose clock stamps a file system, and so whether its times can be trusted
 *   run_child.c     a process on its way to its result: fed, read, killed, reaped
 *   run_stream.c    one collected stream
 *   run_tree.c      kills a process and its descendants
 *   run_drive.c     one child driven by the thread that waits for it
 *   run_group.c     one process, or one pipeline, driven in the caller's thread
 *   run_many.c      many processes by a pool of threads: commands in, results out
 *   run_loop.c      its threads: each with a process of its own, or all on one event loop
 *   run_queue.c     its commands and results
 *   run_timer.c     its deadlines
 *   run_poller.c    who is ready: the way of the engine in use
 *   run_poller_linux.c  epoll
 *   run_poller_posix.c  poll
 *   rmtree.c        removes a directory tree, in steps
 *   communicate.c   feeds a process and reads what it writes, for the subprocess drop-in
 */
#ifndef FASTOS_API_H
#define FASTOS_API_H

#include <stddef.h>
#include <stdint.h>

#include "api/platform.h"
#include "api/stat.h"
#include "api/log.h"
#include "api/timer.h"
#include "api/predicate.h"
#include "api/ignore.h"
#include "api/scan.h"
#include "api/wait.h"
#include "api/spawn.h"
#include "api/run.h"

#include "api/owner.h"
#include "api/session.h"
#include "api/environment.h"
#include "api/descriptor.h"
#include "api/permission.h"
#include "api/directory.h"
#include "api/link.h"
#include "api/signal.h"
#include "api/child.h"
#include "api/execute.h"
#include "api/walk.h"
#include "api/stat_many.h"
#include "api/usage.h"
#include "api/rmtree.h"
#include "api/communicate.h"

#endif
