"""Makes an image/mask data set from raw MVTec AD; goes on after it was cut off."""
