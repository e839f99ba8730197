/* The rows behind cox_schema_find, and how they are written. A row is a struct: its name
 * ("core.v1.Container"; a trailing @: the struct is atomic) and its fields, "name:type" separated
 *by spaces.
 *
 *	s i n b   string, integer, number, boolean          t u   time, time with microseconds
 *	q x d     quantity, integer or string, base64       *     anything
 *	Name      a struct of the same package              pkg.version.Name   of another one
 *	{T} {T}@  a map with values T; the second: atomic
 *	[T]       an atomic list; [T]set  a set of scalars; [T]a,b  a map by the keys a and b
 *	          followed by ~k: strategic merge patch goes by key k; ~: merges scalars;
 *	          ~-: strategic merge patch replaces it
 *	!         the field is always written, also when it is empty
 *	=V        its default, when it is missing in an item whose key it is part of
 *	&         $retainKeys is honoured    %   a strategic merge patch replaces the value
 */
#ifndef COX_KUBE_SCHEMA_TABLE_H
#define COX_KUBE_SCHEMA_TABLE_H

struct cox_schema_row {
	const char *name;
	const char *fields;
};

extern const struct cox_schema_row cox_schema_rows_core[];
extern const struct cox_schema_row cox_schema_rows_groups[];

#endif
