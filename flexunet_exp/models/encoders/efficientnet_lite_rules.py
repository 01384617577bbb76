"""Rules for the arguments of EfficientNet-Lite, and the hashes of its weights; imports no Keras."""

from __future__ import annotations

from flexunet_exp.config.rules import Arguments, one_of

# The sha256 of the file that encoder_weights=imagenet loads, by the name of the encoder's function.
IMAGENET = {
    "efficientnet_lite0": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "efficientnet_lite1": "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    "efficientnet_lite2": "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
}
RULES = {name: Arguments({"features": one_of("expanded", "blocks")}) for name in IMAGENET}
