"""Export to mmpretrain: any backbone, with unchanged keys."""

import inspect

from mmlgd.export.key_names import arguments_of, refuse
from mmlgd.export.library import LibraryFormat, Target
from mmlgd.export.model import ExportModel


class MMPretrainFormat(LibraryFormat):
    """See :class:`LibraryFormat`."""

    description = "a backbone's weights for mmpretrain, with its config"
    library = 'mmpretrain'

    def target(self, model: ExportModel) -> Target:
        name, arguments = model.config['type'], arguments_of(model.config)
        cls = type(model.module)
        if '.' not in name and cls.__module__.startswith('mmpretrain.'):
            name = f'mmpretrain.{name}'
        if self.fuse:
            if 'deploy' not in inspect.signature(cls).parameters:
                refuse(
                    model.name,
                    'mmpretrain',
                    'it has no option deploy, so the branches cannot be merged',
                )
            arguments['deploy'] = True
        return Target(name, arguments, prefix='backbone.', is_same=True)


FORMAT = MMPretrainFormat
