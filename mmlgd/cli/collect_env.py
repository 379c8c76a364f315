"""Print the environment: paste it into a report about a problem."""

from mmlgd.utils.collect_env import collect_env


def main() -> None:
    for name, value in collect_env().items():
        print(f'{name}: {value}')


if __name__ == '__main__':
    main()
