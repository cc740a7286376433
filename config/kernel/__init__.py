"""What every app may use and what knows no app: errors, clock, money, locks, states, effects."""
