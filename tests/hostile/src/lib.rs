//! A plugin that misbehaves in every way, for tests only
