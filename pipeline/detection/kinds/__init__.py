"""The kinds of detection, one file each."""
