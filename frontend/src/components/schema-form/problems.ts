import type { UseFormSetError } from 'react-hook-form'
import { explain } from '@/components/feedback'
import { type FormValues, fieldOfProblem, type SchemaField } from '@/components/schema-form/fields'
import { ApiError } from '@/lib/api'

/** What the API has against the fields, by their names. */
export function problemsOf(
  error: Error | null,
  fields: readonly SchemaField[],
): Record<string, string> {
  if (!(error instanceof ApiError)) return {}
  const named = error.problems.map(({ path, message }) => [fieldOfProblem(path), message] as const)
  return Object.fromEntries(named.filter(([name]) => fields.some((field) => field.name === name)))
}

/** Says at each field what is wrong with it. What belongs to no field would keep the form from being sent again. */
export function showProblems(
  error: Error,
  fields: readonly SchemaField[],
  setError: UseFormSetError<FormValues>,
): void {
  for (const [name, message] of Object.entries(problemsOf(error, fields))) {
    setError(name, { message }, { shouldFocus: true })
  }
}

/** What is wrong beyond the fields, or null when every problem stands at its field. */
export function unplacedMessage(
  error: Error | null,
  fields: readonly SchemaField[],
): string | null {
  if (!(error instanceof ApiError)) return error && explain(error)
  const placed = error.problems.filter((problem) =>
    fields.some((field) => field.name === fieldOfProblem(problem.path)),
  )
  return error.problems.length > 0 && placed.length === error.problems.length ? null : error.message
}
