"""Below all rooms: errors, outputs that appear whole, tables, arrays, class order, parallel work."""
