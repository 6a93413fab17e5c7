"""What the harness of the traffic data asks a driver for. Everything is done by driver.ts, in the
network namespace of the control plane; this speaks to it in JSON lines."""
import json
import os
import subprocess

import topo

HERE = os.path.dirname(os.path.abspath(__file__))


class Driver:
    """One control plane, and a proxy for each pod that has one."""

    def start(self):
        hub = ['ip', 'netns', 'exec', f'{topo.PFX}-hub']
        node = os.environ.get('BULWARK_NODE', 'node')
        self._child = subprocess.Popen(
            [*hub, node, '--disable-warning=ExperimentalWarning', os.path.join(HERE, 'driver.ts')],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        # Ended with everything else that the harness started.
        topo.procs.append(self._child)
        pods = [
            {
                'name': name,
                'namespace': pod['ns'],
                'serviceAccount': pod['sa'],
                'address': pod['ip'],
                'labels': pod['labels'],
                'mode': 'gateway' if pod['kind'] == 'router' else 'redirect',
            }
            for name, pod in topo.PODS.items()
            if pod['kind'] in ('sidecar', 'router')
        ]
        self._ask(
            'start',
            hub=topo.HUB,
            prefix=topo.PFX,
            directory=os.path.join(topo.RUN, 'bulwark'),
            files=os.path.join(topo.RUN, 'pki'),
            pods=pods,
        )

    def mesh(self, yaml_text):
        self._ask('mesh', text=yaml_text)

    def config(self, _scope, text):
        self._ask('config', text=text)

    def pos(self):
        return self._ask('position')

    def nacks(self, position):
        return self._ask('refusals', since=position)

    def ssl(self, pod):
        return self._ask('handshakes', pod=pod)

    def _ask(self, method, **params):
        self._child.stdin.write(json.dumps({'method': method, **params}) + '\n')
        self._child.stdin.flush()
        line = self._child.stdout.readline()
        if not line:
            raise RuntimeError(f'the driver ended at {method}')
        answer = json.loads(line)
        if 'error' in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer.get('result')
