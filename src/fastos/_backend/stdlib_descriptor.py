"""open, read, write, close, dup, pipe from the standard library."""

from fastos._backend.standard import borrow

borrow(globals(), "open", "read", "write", "lseek", "close", "closerange", "dup", "dup2", "pipe", "pipe2")
borrow(globals(), "get_inheritable", "set_inheritable")
