"""Volumes: grey values on three axes (z, y, x), read slice by slice, and masks written like them.

NIfTI and MetaImage store x first; their axes are turned round, as SimpleITK and nnU-Net do. Axes of
`.npy` and `.h5` are taken in their own order.
"""
