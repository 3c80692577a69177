"""`python -m neoresponse`."""

from neoresponse.cli import main

if __name__ == "__main__":
    main()
