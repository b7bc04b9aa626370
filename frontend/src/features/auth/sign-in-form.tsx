import { useMutation } from '@tanstack/react-query'
import { useForm } from 'react-hook-form'
import { explain, InlineError } from '@/components/feedback'
import { Button } from '@/components/ui/button'
import { Field, Input } from '@/components/ui/field'
import { signIn } from '@/features/auth/api'
import type { Schemas } from '@/lib/api'

type Values = { email: string; password: string }

export function SignInForm({
  onSignedIn,
}: {
  onSignedIn: (answer: Schemas['TokenResponse']) => void
}) {
  const { register, handleSubmit, formState, setFocus } = useForm<Values>()
  const mutation = useMutation({
    mutationFn: ({ email, password }: Values) => signIn(email, password),
    onSuccess: onSignedIn,
    onError: () => setFocus('password', { shouldSelect: true }),
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
            {...register('email', { required: 'Enter your email.' })}
          />
        )}
      </Field>
      <Field label="Password" error={formState.errors.password?.message}>
        {(control) => (
          <Input
            type="password"
            autoComplete="current-password"
            {...control}
            {...register('password', { required: 'Enter your password.' })}
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
        {mutation.isPending ? 'Signing in…' : 'Sign in'}
      </Button>
    </form>
  )
}
