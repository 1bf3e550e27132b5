"""The `cifar-report` program: the only room that prints or exits."""
