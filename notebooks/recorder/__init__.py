"""Record lessons with answers from small local models: a tool for lesson authors."""
