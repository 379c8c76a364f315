_base_ = './lgd.py'

title = 'random weights'
role = 'untrained'
skip = ['zero_shot']
