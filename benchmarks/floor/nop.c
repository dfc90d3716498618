/* The cheapest program there is: static, ends at once. What is left of a spawn of it is the spawn. */
int main(void)
{
    return 0;
}
