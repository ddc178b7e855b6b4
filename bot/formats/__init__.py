"""What files of sound and pictures are, and what can be made of them."""
