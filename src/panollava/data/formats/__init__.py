"""One file per manifest format; each turns a file into `Record`s and knows nothing about images."""
