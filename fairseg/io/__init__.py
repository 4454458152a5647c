"""Files written whole or not at all; images, tables and JSON read safely."""
