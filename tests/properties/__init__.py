"""Money and slots in any order: a state machine, the model of what it did, and the checks after."""
