import { useMutation } from '@tanstack/react-query'
import { useForm } from 'react-hook-form'
import { explain, InlineError } from '@/components/feedback'
import { Button } from '@/components/ui/button'
import { Field, Input } from '@/components/ui/field'
import { createFirstAccount } from '@/features/auth/api'
import type { Schemas } from '@/lib/api'

/** The API's own limit: `SetupRequest.password`. */
const SHORTEST_PASSWORD = 10

type Values = { email: string; password: string }

type SetupFormProps = { token: string; onCreated: (answer: Schemas['TokenResponse']) => void }

export function SetupForm({ token, onCreated }: SetupFormProps) {
  const { register, handleSubmit, formState } = useForm<Values>()
  const mutation = useMutation({
    mutationFn: (values: Values) => createFirstAccount({ token, ...values }),
    onSuccess: onCreated,
  })
  return (
    <form
      noValidate
      className="flex flex-col gap-4"
      onSubmit={handleSubmit((values) => mutation.mutate(values))}
    >
      <Field label="Email" error={formState.errors.email?.message}>
        {(control) => (
          <Input
            type="email"
            autoComplete="username"
            {...control}
            {...register('email', {
              required: 'Enter an email.',
              pattern: { value: /^\S+@\S+$/, message: 'This is not an email address.' },
            })}
          />
        )}
      </Field>
      <Field
        label="Password"
        hint={`At least ${SHORTEST_PASSWORD} characters. A sentence is a good password.`}
        error={formState.errors.password?.message}
      >
        {(control) => (
          <Input
            type="password"
            autoComplete="new-password"
            {...control}
            {...register('password', {
              required: 'Enter a password.',
              minLength: {
                value: SHORTEST_PASSWORD,
                message: `The password needs at least ${SHORTEST_PASSWORD} characters.`,
              },
            })}
          />
        )}
      </Field>
      {mutation.error && <InlineError>{explain(mutation.error)}</InlineError>}
      <Button
        type="submit"
        variant="primary"
        disabled={mutation.isPending}
        className="justify-center"
      >
        {mutation.isPending ? 'Creating the account…' : 'Create the account'}
      </Button>
    </form>
  )
}
