//! Collapsed stacks: `root;caller;function bytes`, one line a stack.
