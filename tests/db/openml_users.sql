-- OpenML's user tables as its production dump has them (MySQL 5.7, latin1), with rows as its servers write them.
CREATE TABLE `users` (
  `id` mediumint(8) unsigned NOT NULL AUTO_INCREMENT,
  `ip_address` varchar(45) NOT NULL,
  `username` varchar(100) NOT NULL,
  `password` varchar(255) NOT NULL,
  `email` varchar(254) NOT NULL,
  `activation_selector` varchar(255) DEFAULT NULL,
  `activation_code` varchar(255) DEFAULT NULL,
  `forgotten_password_selector` varchar(255) DEFAULT NULL,
  `forgotten_password_code` varchar(255) DEFAULT NULL,
  `forgotten_password_time` int(11) unsigned DEFAULT NULL,
  `remember_selector` varchar(255) DEFAULT NULL,
  `remember_code` varchar(255) DEFAULT NULL,
  `created_on` int(11) unsigned NOT NULL,
  `last_login` int(11) unsigned DEFAULT NULL,
  `active` tinyint(1) unsigned DEFAULT NULL,
  `first_name` varchar(50) DEFAULT NULL,
  `last_name` varchar(50) DEFAULT NULL,
  `company` varchar(100) NOT NULL,
  `phone` varchar(20) DEFAULT NULL,
  `country` varchar(50) NOT NULL,
  `image` varchar(128) DEFAULT NULL,
  `bio` text NOT NULL,
  `core` enum('true','false') NOT NULL DEFAULT 'false',
  `external_source` varchar(50) DEFAULT NULL,
  `external_id` varchar(50) DEFAULT NULL,
  `session_hash` varchar(40) DEFAULT NULL,
  `session_hash_date` timestamp NULL DEFAULT CURRENT_TIMESTAMP,
  `gamification_visibility` varchar(32) NOT NULL DEFAULT 'show',
  PRIMARY KEY (`id`),
  UNIQUE KEY `username` (`username`,`email`),
  UNIQUE KEY `session_hash` (`session_hash`),
  UNIQUE KEY `activation_selector` (`activation_selector`),
  UNIQUE KEY `forgotten_password_selector` (`forgotten_password_selector`),
  UNIQUE KEY `remember_selector` (`remember_selector`)
) ENGINE=InnoDB DEFAULT CHARSET=latin1;

CREATE TABLE `users_groups` (
  `id` mediumint(8) unsigned NOT NULL AUTO_INCREMENT,
  `user_id` mediumint(8) unsigned NOT NULL,
  `group_id` mediumint(8) unsigned NOT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=latin1;

CREATE TABLE `groups` (
  `id` mediumint(8) unsigned NOT NULL AUTO_INCREMENT,
  `name` varchar(20) NOT NULL,
  `description` varchar(100) NOT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=latin1;

INSERT INTO `groups` VALUES (1,'admin','Administrator'),(2,'members','General User (read-write)'),(3,'readonly','Read only');
INSERT INTO `users` (id, ip_address, username, password, email, created_on, active, first_name, last_name, company, country, bio)
  VALUES (7, '127.0.0.1', 'ada', 'oauth_no_password', 'ada@example.org', 0, 1, NULL, NULL, '', '', 'No Bio');
INSERT INTO `users_groups` (user_id, group_id) VALUES (7, 2), (7, 2);
