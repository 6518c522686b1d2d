// Zones for the screens to show.

/** Two zones with some history; the first has twelve changes and all that an answer can be. Its serial is ahead of any
 * day's, so that each change adds one to it. */
export async function seed(server) {
  await server.api('POST', '/zonda/zones', {
    zone: 'example.org',
    zonefile: `@ 3600 IN SOA ns1 hostmaster 2099010101 7200 3600 1209600 300
@ 3600 IN NS ns1
@ 3600 IN NS ns2.example.net.
@ 3600 IN MX 10 mail
@ 3600 IN TXT "v=spf1 mx -all"
@ 3600 IN CAA 0 issue "ca.example.net"
ns1 3600 IN A 192.0.2.53
mail 3600 IN A 192.0.2.25
mail 3600 IN AAAA 2001:db8::25
www 300 IN A 192.0.2.80
www 300 IN AAAA 2001:db8::80
shop 300 IN CNAME www
*.w 300 IN A 192.0.2.99
sub 3600 IN NS ns.sub
ns.sub 3600 IN A 192.0.2.54
_imaps._tcp 3600 IN SRV 0 5 993 mail
`,
  });
  await server.api('POST', '/zonda/zones', { zone: 'example.net', nameservers: ['ns1', 'ns2'] });
  await server.api('POST', '/zonda/zones', { zone: '2.0.192.in-addr.arpa', nameservers: ['ns1.example.org.'] });
  const { token } = await server.api('POST', '/zonda/tokens', { name: 'deploy', scope: 'write', zones: ['example.org'] });
  for (let at = 1; at <= 10; at++) {
    const headers = at % 3 === 0 ? { Authorization: `Bearer ${token}` } : {};
    const records = [{ content: `192.0.2.${80 + at}` }];
    await server.api('PUT', '/zonda/zones/example.org/rrsets/www/A', { ttl: 300, records }, headers);
  }
  const record = { zone: 'example.org.', name: 'pb', record_type: 'A', ttl: 60, content: { ip: '192.0.2.7' } };
  await server.api('POST', '/collections/coredns_records/records', record);
}
