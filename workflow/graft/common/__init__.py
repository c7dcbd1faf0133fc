"""Below all rooms: errors, outputs that appear whole, tables, arrays, classes, parallel work."""
