"""Songs: their files, whose library they are in, and who likes them."""
