"""From a picture to class probabilities, masks and regions."""
