// Nothing to include: the library replaces a function of libc.
