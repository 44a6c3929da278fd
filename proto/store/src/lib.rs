//! Records as they are sealed on disk, generated from bindery/store/v1
