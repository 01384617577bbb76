"""The parts of flexunet plan: facts, a measurement, the choices that fit the minutes, a yaml."""
