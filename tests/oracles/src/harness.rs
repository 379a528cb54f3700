//! Small C programs around libraries, compiled when a test needs them, and pipes to the programs that listen.
