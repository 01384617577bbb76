"""From folders of pictures to a sample table, a split and a tf.data pipeline."""
