#!/usr/bin/env python3
"""A registry that misbehaves on request, for tests of `pull`.

    fake-registry.py PORTFILE [LOGFILE [CERTIFICATE]]

Serves on all addresses, on a free port that it writes to PORTFILE, and by TLS on one that it writes to PORTFILE.tls if there is a CERTIFICATE (with its
key, PEM). LOGFILE gets a line for each request of a blob, with its Range. Every repository has the tag `latest`; its name chooses the fault:

    good           one small layer, gzip              zstd, plain      other compressions (zstd needs the zstd program)
    index          an OCI index, linux/amd64 and linux/arm64         noarch    an index without this machine
    schema1        docker's old manifest              wrong-digest     the layer's bytes are others
    wrong-config   the configuration's bytes are      wrong-diffid     the layer is not what the configuration says
    truncated      the connection ends early          corrupt          the gzip stream is damaged (its digest is right)
    short          the layer is shorter than said     long             it is longer
    flaky          503 twice, then fine               drop             the first connections end early, then fine
    dotdot, absolute, symlink, hardlink               layers that try to leave their directory, each with `escaped`
    bearer, redirect: a token is needed (/token, user:secret)   basic     Basic user:secret
    redirect       blobs are on another port, which records an Authorization header in LOGFILE (there must be none)
    foreign        a layer from elsewhere             huge-manifest    5 MiB of manifest       garbage  no JSON
    many           12 layers                          empty            404 for all
    arches         an index, linux/amd64 and linux/arm64, both there    arm    an image for linux/arm64 alone
    tags           the tags latest, one and two, on two pages
    resume         ends early until it is asked for the rest, and sends that
    norange, wrongrange, garbled    the same, but the rest is all of it; is another part; is other bytes
    refused        ends early, then 403 until LOGFILE.go is there, then the rest
    busy           429 with Retry-After: 1, then fine  busy-long       429 with Retry-After: 3600
    down           503 always                          forbidden       403
    stall          half of the layer, then nothing     nested, nested-huge    4 and 10 MB of nested manifest
    linkdir        a directory that becomes a link, and `escaped` through it     whiteout   a whiteout outside   bomb    64 MB of zeros

What is pushed can be pulled again:

    pushed         as it should be                     pushed-bearer   with a token that was asked for to push
    pushed-small   takes at most 5 MB at once (413)  pushed-flaky    ends the connection in the middle, once
    pushed-denied  403                                 pushed-full     500 for all blobs
    pushed-far     blobs are uploaded to another port, which must not get an Authorization header (LOGFILE)

As 127.0.0.2 it wants a token for /v2/, too, as 127.0.0.3 a password, and as 127.0.0.4 it lets one wait for 2 s. The token service gives the user
`keeper`, with any password, the identity token `identity`, and takes that in place of a password.
"""
import base64, gzip, hashlib, http.server, io, json, os, random, re, socket, ssl, subprocess, sys, tarfile, threading, time

OCI = 'application/vnd.oci.image.manifest.v1+json'
LAYER = 'application/vnd.oci.image.layer.v1.tar'


def sha(b):
    return 'sha256:' + hashlib.sha256(b).hexdigest()


def tar(*entries):
    f = io.BytesIO()
    with tarfile.open(fileobj=f, mode='w') as t:
        for name, kind, link, data in entries:
            i = tarfile.TarInfo(name)
            i.type, i.linkname, i.size, i.mode = kind, link, len(data), 0o755
            t.addfile(i, io.BytesIO(data))
    return f.getvalue()


FILE, DIR, SYM, LNK = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
TARS = {
    'dotdot': tar(('../../escaped', FILE, '', b'x')),
    'absolute': tar(('/escaped', FILE, '', b'x')),
    'symlink': tar(('out', SYM, '/tmp', b''), ('out/escaped', FILE, '', b'x')),
    'linkdir': tar(('out', DIR, '', b''), ('out', SYM, '/tmp', b''), ('out/escaped', FILE, '', b'x')),
    'whiteout': tar(('../../../../../../../../../tmp/.wh.caisson-witness', FILE, '', b'')),
    'hardlink': tar(('escaped', LNK, '../../../../../../../../../etc/passwd', b'')),
}


class Image:
    def __init__(self, name, arch='amd64'):
        arch = 'arm64' if name == 'arm' else arch
        self.blobs, self.manifests, self.types = {}, {}, {}
        plain = [TARS.get(name, tar(('etc', DIR, '', b''), ('etc/name', FILE, '', name.encode()), ('data', FILE, '', bytes(300000))))]
        if name == 'many':
            plain = [tar(('f%d' % i, FILE, '', bytes([i]) * 100000)) for i in range(12)]
        if name == 'bomb':
            plain = [tar(('zeros', FILE, '', bytes(64 << 20)))]
        layers, suffix = [gzip.compress(p, 9 if len(p) < 1 << 20 else 1, mtime=0) for p in plain], '+gzip'
        if name == 'zstd':
            layers, suffix = [subprocess.run(['zstd', '-qc'], input=p, capture_output=True, check=True).stdout for p in plain], '+zstd'
        if name == 'plain':
            layers, suffix = plain, ''
        if name == 'corrupt':
            layers = [layers[0][:100] + bytes(100) + layers[0][200:]]
        diff_ids = [sha(b'other') if name == 'wrong-diffid' else sha(p) for p in plain]
        if name in PARTIAL:
            plain = [tar(('random', FILE, '', random.Random(1).randbytes(400000)))]
            layers = [gzip.compress(p, mtime=0) for p in plain]
            diff_ids = [sha(p) for p in plain]
        config = json.dumps({'os': 'linux', 'architecture': arch, 'created': '2024-01-02T03:04:05Z', 'config': {'Cmd': ['true']},
                             'rootfs': {'type': 'layers', 'diff_ids': diff_ids}}).encode()
        media = 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip' if name == 'foreign' else LAYER + suffix
        manifest = {'schemaVersion': 2, 'mediaType': OCI,
                    'config': {'mediaType': 'application/vnd.oci.image.config.v1+json', 'digest': sha(config), 'size': len(config)},
                    'layers': [{'mediaType': media, 'digest': sha(b), 'size': len(b)} for b in layers]}
        for b in layers:
            served = b
            if name == 'wrong-digest':
                served = bytes([b[0] ^ 1]) + b[1:]
            self.blobs[sha(b)] = {'short': served[:-1], 'long': served + b'x'}.get(name, served)
        self.blobs[sha(config)] = config.replace(b'true', b'evil') if name == 'wrong-config' else config
        text = json.dumps(manifest).encode()
        if name == 'garbage':
            text = b'<html>'
        if name == 'huge-manifest':
            text += b' ' * (5 << 20)
        self.add(text, OCI)
        if name == 'schema1':
            self.add(json.dumps({'schemaVersion': 1, 'name': name, 'fsLayers': []}).encode(), 'application/vnd.docker.distribution.manifest.v1+prettyjws')
        if name in ('nested', 'nested-huge'):
            self.add(b'[' * ((4000 if name == 'nested' else 10 << 10) << 10), OCI)
        if name == 'tags':
            self.manifests['one'] = self.manifests['two'] = self.manifests['latest']
        if name == 'arches' and arch == 'amd64':
            other = Image(name, 'arm64')
            entries = [('amd64', self.manifests['latest'][0]), ('arm64', other.manifests['latest'][0])]
            self.blobs.update(other.blobs)
            self.manifests.update(other.manifests)
            self.add(json.dumps({'schemaVersion': 2, 'manifests': [
                {'mediaType': OCI, 'digest': sha(t), 'size': len(t), 'platform': {'os': 'linux', 'architecture': a}} for a, t in entries]}).encode(),
                'application/vnd.oci.image.index.v1+json')
        if name in ('index', 'noarch'):
            entries = [('linux', 's390x', None)] if name == 'noarch' else [('linux', 'arm64', sha(b'no')), ('linux', 'amd64', sha(text))]
            self.add(json.dumps({'schemaVersion': 2, 'manifests': [
                {'mediaType': OCI, 'digest': d or sha(text), 'size': len(text), 'platform': {'os': o, 'architecture': a}} for o, a, d in entries]}).encode(),
                'application/vnd.oci.image.index.v1+json')

    def add(self, text, kind):
        self.manifests[sha(text)] = self.manifests['latest'] = (text, kind)


PARTIAL = ('resume', 'norange', 'wrongrange', 'garbled', 'refused', 'stall')
IMAGES, COUNTS, TOKEN = {}, {}, 'let-me-in'
LOG = sys.argv[2] if len(sys.argv) > 2 else '/dev/null'


class Pushed:
    def __init__(self):
        self.blobs, self.manifests, self.uploads = {}, {}, {}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *args):
        pass

    def answer(self, status, body=b'', headers=(), cut=0):
        self.send_response(status)
        for k, v in headers:
            self.send_header(k, v)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(body[:len(body) - cut] if cut else body)
        if cut:
            self.close_connection = True

    def refuse(self, status, code, text, headers=()):
        self.answer(status, json.dumps({'errors': [{'code': code, 'message': text}]}).encode(), headers)

    def denied(self, name):
        auth = self.headers.get('Authorization', '')
        host = '%s://%s' % ('https' if isinstance(self.connection, ssl.SSLSocket) else 'http', self.headers.get('Host'))
        if name == 'pushed-bearer' and auth != 'Bearer to-push' and (self.command not in ('GET', 'HEAD') or auth != 'Bearer ' + TOKEN):
            return 'Bearer realm="%s/token",service="fake",scope="repository:%s:pull,push"' % (host, name)
        if name in ('bearer', 'redirect') and auth != 'Bearer ' + TOKEN:
            return 'Bearer realm="%s/token",service="fake",scope="repository:%s:pull"' % (host, name)
        if name == 'basic' and auth != 'Basic ' + base64.b64encode(b'user:secret').decode():
            return 'Basic realm="fake"'
        return None

    def do_HEAD(self):
        self.do_GET()

    def do_PUT(self):
        """POST /v2/NAME/blobs/uploads/, PATCH and PUT /upload/NAME/ID, PUT /v2/NAME/manifests/TAG"""
        path, _, query = self.path.partition('?')
        parts = path.strip('/').split('/')
        name, size = parts[1], int(self.headers.get('Content-Length') or 0)
        image = IMAGES.setdefault(name, Pushed())
        if parts[0] == 'upload':
            with open(LOG, 'a') as f:
                f.write('%s to %s: %d bytes, Authorization: %s\n' % (self.command, name, size, (self.headers.get('Authorization') or 'None').split(' ')[0]))
            if name == 'pushed-flaky' and size > 1000 and not COUNTS.get(name):
                COUNTS[name] = 1
                self.rfile.read(size // 2)
                self.close_connection = True
                return self.connection.shutdown(socket.SHUT_RDWR)
        body = self.rfile.read(size)
        challenge = self.denied(name)
        if challenge and name != 'pushed-far':
            return self.refuse(401, 'UNAUTHORIZED', 'authentication required', [('WWW-Authenticate', challenge)])
        if name == 'pushed-denied':
            return self.refuse(403, 'DENIED', 'requested access to the resource is denied')
        if parts[-2] == 'manifests':
            image.manifests[parts[-1]] = image.manifests[sha(body)] = (body, self.headers.get('Content-Type'))
            return self.answer(201)
        if self.command == 'POST':
            image.uploads[str(len(image.uploads))] = b''
            place = '/upload/%s/%d?state=x' % (name, len(image.uploads) - 1)
            return self.answer(202, headers=[('Location', 'http://127.0.0.1:%d%s' % (OTHER.server_address[1], place) if name == 'pushed-far' else place)])
        if name == 'pushed-full':
            return self.answer(500)
        if name == 'pushed-small' and size > 5000000:
            return self.answer(413)
        if self.command == 'PATCH' and self.headers.get('Content-Range') != '%d-%d' % (len(image.uploads[parts[2]]), len(image.uploads[parts[2]]) + size - 1):
            return self.answer(416)
        image.uploads[parts[2]] += body
        if self.command == 'PATCH':
            return self.answer(202, headers=[('Location', self.path)])
        digest = query.split('digest=')[1].replace('%3A', ':')
        if sha(image.uploads[parts[2]]) != digest:
            return self.refuse(400, 'DIGEST_INVALID', 'provided digest did not match uploaded content')
        image.blobs[digest] = image.uploads[parts[2]]
        self.answer(201)

    do_PATCH = do_PUT

    def do_POST(self):
        if self.path.startswith('/v2/'):
            return self.do_PUT()
        form = self.rfile.read(int(self.headers.get('Content-Length') or 0)).decode()
        if self.path == '/elsewhere':
            with open(LOG, 'a') as f:
                f.write('token elsewhere: %s\n' % form)
        if os.path.exists(LOG + '.away'):
            return self.answer(307, headers=[('Location', 'http://127.0.0.1:%d/elsewhere' % OTHER.server_address[1])])
        if self.path != '/token' or 'refresh_token=identity' not in form or 'grant_type=refresh_token' not in form:
            return self.refuse(401, 'UNAUTHORIZED', 'authentication required')
        self.answer(200, json.dumps({'access_token': TOKEN}).encode())

    def do_GET(self):
        path = self.path.split('?')[0].strip('/').split('/')
        if path == ['token']:
            user = base64.b64decode(self.headers.get('Authorization', '')[len('Basic '):])
            if user.startswith(b'keeper:'):
                return self.answer(200, json.dumps({'token': TOKEN, 'refresh_token': 'identity'} if 'offline_token=true' in self.path else {'token': TOKEN}).encode())
            if user != b'user:secret':
                return self.refuse(401, 'UNAUTHORIZED', 'incorrect username or password' if user else 'authentication required')
            return self.answer(200, json.dumps({'token': 'to-push' if 'pushed-bearer%3Apull%2Cpush' in self.path else TOKEN}).encode())
        if path == ['v2']:
            host = self.headers.get('Host').split(':')[0]
            time.sleep(2 if host == '127.0.0.4' else 0)
            challenge = self.denied({'127.0.0.2': 'bearer', '127.0.0.3': 'basic', '127.0.0.4': 'basic'}.get(host))
            if challenge:
                return self.refuse(401, 'UNAUTHORIZED', 'authentication required', [('WWW-Authenticate', challenge)])
            return self.answer(200, b'{}')
        if path[0] == 'elsewhere':
            with open(LOG, 'a') as f:
                f.write('blob elsewhere, Authorization: %s\n' % self.headers.get('Authorization'))
            return self.answer(200, IMAGES['redirect'].blobs[path[1]])
        if len(path) != 4 or path[0] != 'v2' or path[1] == 'empty':
            return self.refuse(404, 'NAME_UNKNOWN', 'repository name not known to registry')
        _, name, kind, ref = path
        if name == 'forbidden':
            return self.refuse(403, 'DENIED', 'requested access to the resource is denied')
        if name in ('down', 'busy', 'busy-long'):
            COUNTS[name] = n = COUNTS.get(name, 0) + 1
            if name == 'down':
                return self.answer(503)
            if name == 'busy-long' or n <= 2:
                return self.refuse(429, 'TOOMANYREQUESTS', 'slow down', [('Retry-After', '1' if name == 'busy' else '3600')])
        challenge = self.denied(name)
        if challenge:
            return self.refuse(401, 'UNAUTHORIZED', 'authentication required', [('WWW-Authenticate', challenge)])
        if name.startswith('pushed'):
            image = IMAGES.setdefault(name, Pushed())
            if ref not in (image.manifests if kind == 'manifests' else image.blobs):
                return self.refuse(404, 'MANIFEST_UNKNOWN' if kind == 'manifests' else 'BLOB_UNKNOWN', 'unknown')
            return self.manifest(image, ref) if kind == 'manifests' else self.answer(200, image.blobs[ref])
        image = IMAGES.setdefault(name, Image(name))
        if kind == 'tags':
            return self.tags(name)
        return self.manifest(image, ref) if kind == 'manifests' else self.blob(image, name, ref)

    def tags(self, name):
        if name != 'tags':
            return self.answer(200, json.dumps({'name': name, 'tags': ['latest']}).encode())
        if 'last=' in self.path:
            return self.answer(200, json.dumps({'name': name, 'tags': ['two']}).encode())
        self.answer(200, json.dumps({'name': name, 'tags': ['latest', 'one']}).encode(),
                    [('Link', '</v2/tags/tags/list?n=2&last=one>; rel="next"')])

    def manifest(self, image, ref):
        if ref not in image.manifests:
            return self.refuse(404, 'MANIFEST_UNKNOWN', 'manifest unknown')
        text, kind = image.manifests[ref]
        self.answer(200, text, [('Content-Type', kind), ('Docker-Content-Digest', sha(text))])

    def blob(self, image, name, ref):
        if ref not in image.blobs:
            return self.refuse(404, 'BLOB_UNKNOWN', 'blob unknown to registry')
        body = image.blobs[ref]
        COUNTS[name, ref] = n = COUNTS.get((name, ref), 0) + 1
        with open(LOG, 'a') as f:
            f.write('%s: blob of %d, Range: %s\n' % (name, len(body), self.headers.get('Range')))
        if name in PARTIAL and len(body) > 1000:
            return self.part(body, name, n)
        if name == 'flaky' and n <= 2:
            return self.answer(503)
        if len(body) > 250 and (name == 'truncated' or (name == 'drop' and n <= 2)):
            return self.answer(200, body, cut=len(body) // 2)
        if name == 'redirect':
            return self.answer(307, headers=[('Location', 'http://127.0.0.1:%d/elsewhere/%s' % (OTHER.server_address[1], ref))])
        return self.answer(200, body)


    def part(self, body, name, n):
        asked = re.fullmatch(r'bytes=(\d+)-', self.headers.get('Range') or '')
        first = int(asked[1]) if asked else 0
        if name == 'stall' or not asked:
            self.send_response(200)
            self.send_header('Content-Length', str(len(body)))
            self.end_headers()
            self.wfile.write(body if name in ('wrongrange', 'garbled') and n > 1 else body[:len(body) // 2])
            if name == 'stall':
                self.wfile.flush()
                time.sleep(60)
            self.close_connection = True
            return None
        if name == 'refused' and not os.path.exists(LOG + '.go'):
            return self.refuse(403, 'DENIED', 'not now')
        if name == 'norange':
            return self.answer(200, body)
        rest = bytes(len(body) - first) if name == 'garbled' else body[first:]
        if name == 'wrongrange':
            first, rest = first + 10, body[first + 10:]
        return self.answer(206, rest, [('Content-Range', 'bytes %d-%d/%d' % (first, len(body) - 1, len(body)))])


http.server.ThreadingHTTPServer.handle_error = lambda *_: None  # clients may go at any time
SERVER = http.server.ThreadingHTTPServer(('', 0), Handler)
OTHER = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
threading.Thread(target=OTHER.serve_forever, daemon=True).start()
if len(sys.argv) > 3:
    tls = http.server.ThreadingHTTPServer(('', 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[3])
    tls.socket = context.wrap_socket(tls.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=tls.serve_forever, daemon=True).start()
    with open(sys.argv[1] + '.tls', 'w') as portfile:
        portfile.write('%d\n' % tls.server_address[1])
with open(sys.argv[1], 'w') as portfile:
    portfile.write('%d\n' % SERVER.server_address[1])
SERVER.serve_forever()
