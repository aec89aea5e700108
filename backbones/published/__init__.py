"""Objects of the published classes, as people hold them, under a controller."""
