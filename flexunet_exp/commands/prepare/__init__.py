"""From raw MVTec AD to an image/mask data set on disk, which can be cut off and goes on."""
