-- Undoes 0012. Lost: the profiles that operators added; destinations that use one are made inactive by the next worker and
-- what waits for them is parked. Secrets keep their dates.
DROP TRIGGER webhook_destination_profile_gate ON postrider.webhook_destinations;
DROP FUNCTION postrider.webhook_destination_profile_gate();
CREATE OR REPLACE FUNCTION postrider.new_secret(profile text) RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT CASE WHEN profile IN ('standard', 'supabase', 'hasura') THEN 'whsec_' || encode(postrider.random_bytes_32(), 'base64')
                WHEN profile = 'stripe' THEN 'whsec_' || encode(postrider.random_bytes_32(), 'hex')
                ELSE encode(postrider.random_bytes_32(), 'hex') END
$$;
COMMENT ON FUNCTION postrider.new_secret(text) IS 'A new secret in the form of a profile: whsec_ and base64 for standard, supabase and hasura, whsec_ and hex for stripe, 64 hex digits for all others.';
DROP FUNCTION postrider.secret_expires_at(integer), postrider.expire_secret(uuid, interval), postrider.secret_form(text);
DELETE FROM postrider.webhook_grants
WHERE object IN ('webhook_profiles', 'secret_form', 'expire_secret', 'secret_expires_at');
DROP FUNCTION postrider.profile_fault(postrider.webhook_profiles);
DROP TABLE postrider.webhook_profiles;
DROP FUNCTION postrider.webhook_profile_gate(), postrider.template_fault(text, text[]), postrider.is_built_in_profile(text);
SELECT postrider.grant_roles();

DELETE FROM postrider.webhook_migrations WHERE version = 12;
