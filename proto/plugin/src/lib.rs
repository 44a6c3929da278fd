//! Messages that cross the plugin boundary, generated from bindery/plugin/v1
