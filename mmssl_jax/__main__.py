"""`python -m mmssl_jax` is the command `mmssl`."""

from mmssl_jax.commands import main

if __name__ == "__main__":
    main()
