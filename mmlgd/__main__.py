"""``python -m mmlgd`` is the ``mmlgd`` command; torchrun starts it so."""

from mmlgd.cli.main import main

if __name__ == '__main__':
    main()
