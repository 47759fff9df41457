/* SPDX-License-Identifier: MIT */
/*
 * Asks localhost for / over TLS by mbedTLS, and fails unless an answer came.
 * Its certificate is not looked at. Usage: mbedtls-get PORT NAME
 */
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>
#include <string.h>

int main(int argc, char **argv)
{
	static const char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
	mbedtls_ctr_drbg_context random;
	mbedtls_entropy_context entropy;
	mbedtls_ssl_context ssl;
	mbedtls_ssl_config config;
	mbedtls_net_context net;
	unsigned char answer[4096];
	int total = 0;
	int got;

	if (argc < 3)
		return 2;
	mbedtls_net_init(&net);
	mbedtls_ssl_init(&ssl);
	mbedtls_ssl_config_init(&config);
	mbedtls_ctr_drbg_init(&random);
	mbedtls_entropy_init(&entropy);
	if (mbedtls_ctr_drbg_seed(&random, mbedtls_entropy_func, &entropy, NULL, 0) ||
	    mbedtls_net_connect(&net, "127.0.0.1", argv[1], MBEDTLS_NET_PROTO_TCP) ||
	    mbedtls_ssl_config_defaults(&config, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT))
		return 3;
	mbedtls_ssl_conf_authmode(&config, MBEDTLS_SSL_VERIFY_NONE);
	mbedtls_ssl_conf_rng(&config, mbedtls_ctr_drbg_random, &random);
	if (mbedtls_ssl_setup(&ssl, &config) || mbedtls_ssl_set_hostname(&ssl, argv[2]))
		return 4;
	mbedtls_ssl_set_bio(&ssl, &net, mbedtls_net_send, mbedtls_net_recv, NULL);
	if (mbedtls_ssl_write(&ssl, (const unsigned char *)request, strlen(request)) != (int)strlen(request))
		return 5;
	while ((got = mbedtls_ssl_read(&ssl, answer, sizeof(answer))) > 0)
		total += got;
	mbedtls_net_free(&net);
	return total > 0 ? 0 : 6;
}
