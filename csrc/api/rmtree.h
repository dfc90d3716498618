/* Removing a directory tree, in steps, so that a long removal can be interrupted. */

struct fo_rmtree;

/* Opens the directory at path (relative to dir_fd, which may be AT_FDCWD and must stay open) for removal. A symbolic
 * link is refused. Returns 0 and *out, to be ended with fo_rmtree_close, or -errno. */
int fo_rmtree_open(int dir_fd, const char *path, struct fo_rmtree **out);

/* Removes up to `entries` entries. Nothing outside the tree is touched, whatever is swapped for a symbolic link
 * meanwhile, and nothing is followed. Returns 1 if there is more to do, 0 when the tree is gone, or -errno of the
 * first entry that could not be removed: then close, and what is left is left. */
int fo_rmtree_step(struct fo_rmtree *tree, int entries);

/* Frees what open took; what was not removed stays. */
void fo_rmtree_close(struct fo_rmtree *tree);
