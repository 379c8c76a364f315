# Fine-tuning with few labels, with the settings of SimCLR (arXiv 2002.05709, appendix
# B.5): 0.05 * batch / 256, Nesterov, no warm-up, no weight decay; 60 epochs on 1 %, 30
# on 10 %.
_base_ = './classifier.py'

optim_wrapper = dict(
    optimizer=dict(lr=0.05, momentum=0.9, weight_decay=0.0, nesterov=True)
)
