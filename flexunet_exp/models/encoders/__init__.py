"""Encoders of a U-Net: networks that turn an image into features at strides 2, 4, 8, 16 and 32.

An encoder is a function `name(image, weights)`, which a configuration names as `model.encoder`. It
gets the input tensor (B, H, W, channels) uint8 0..255, does its own scaling, and gives a `Pyramid`.
Its layers belong to the same flat model as the decoder, so that a stored network needs neither the
package nor the file that its first weights came from.
"""
